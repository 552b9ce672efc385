"""What a process tells of itself: its log, and counts that are right however many processes there are.

It never knows what is counted. Start with `telemetry.instruments` (counters, gauges, histograms), then
`telemetry.region` (where their values live) and `telemetry.exposition` (the page that Prometheus reads).
"""
