"""What breaks deployments, looked at before it breaks: each finding with the next command to run.

Start with `doctor.examination`, which looks at everything in order.
"""
