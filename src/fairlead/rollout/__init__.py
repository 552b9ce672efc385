"""How a version comes to serve everybody, or is taken back: the plan, the guards, and `next_step`, which decides.

It never moves traffic and reads no clock: plan, state, evidence and time come in, an action or nothing goes out.
Start with `rollout.next_step`.
"""
