"""Engine: the asyncio and threading shell around the decisions of `service.core`."""
