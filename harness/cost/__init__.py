"""What a run would cost on AWS: usage times list prices, exactly. Pure, but for reading a table of prices."""
