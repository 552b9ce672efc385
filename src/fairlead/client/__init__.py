"""Clients for programs in Python: what a server is asked, over REST or gRPC, and asked again where that is safe.

It never knows models, stores or how a server does its work. Start with `client.client` (what a program calls), then
`client.conversation` (what is asked for a call), `client.rest` and `client.inference_messages` (what goes over the
wire).
"""
