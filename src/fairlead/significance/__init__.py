"""Statistics that several rooms judge by: intervals, exact tests, tails of distributions. Pure, and numpy at most.

It never knows what is counted.
Start with `significance.shares`.
"""
