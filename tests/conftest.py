"""What all tests share."""

from hypothesis import HealthCheck, settings

# A busy machine is slow, not wrong: time limits belong to pytest-timeout.
settings.register_profile("momus", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("momus")
