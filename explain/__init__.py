"""Where the time of requests goes, on any Triton server.

`waterfall.py`: `Span` and `Waterfall`, one request; `critical_path.py`: what made it take as long as it did.
`one_request.py`: `Explainer(url).ask(model, inputs)` sends a request and gives `Explained(answer, waterfall)`.
`many_requests.py`: a load; `profile.py`: `Profile`, its waterfalls summed up in bounded memory.
`drawing.py`: `as_svg(waterfall)`, `side_by_side([waterfall, …])`; `tables.py`: the same for a terminal.
`triton_traces.py`, `bls_spans.py`, `statistics.py`: where spans come from; `server.py`, `tracing.py`: Triton's APIs.
"""
