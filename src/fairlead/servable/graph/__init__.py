"""Versions that are made of other versions: averages, votes, stacks and chains, with a deadline for each member.

Owns what a manifest's `graph` says, whether its members fit, and how they are asked. It never looks for versions: who
loads a graph brings its members. Start reading at `spec`.
"""
