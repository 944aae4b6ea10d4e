"""SQS: standard and FIFO queues in one process on loopback; see docs/data-plane.md.

`deadlines`, `message`, `queue`, `fifo`, `broker` and `move_tasks` are the model, on a clock that is given. `journal`,
`records`, `log` and `recovery` keep it in files.
`attributes`, `message_attributes` and `bodies` decide what is accepted. `operations` and `sending` are the API's
operations. `service` dispatches, speaks the JSON protocol and keeps timers, `polls` the long polls; `query_protocol` is
the other wire format.
"""
