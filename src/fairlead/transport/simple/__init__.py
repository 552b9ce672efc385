"""The API for people: `POST /predict`, `POST /feedback`, `GET /models`.

Start with `simple.dialect`, then `simple.question` (what a body asks).
"""
