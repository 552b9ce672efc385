"""The API for people: `POST /predict`.

Start with `simple.dialect`, then `simple.question` (what a body asks).
"""
