"""How often the gate is wrong: a slowdown planted, trials collected, gates drawn from them."""
