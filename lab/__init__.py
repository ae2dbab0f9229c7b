"""What tries a chain out: a demo, benchmarks, and the workload of both."""
