"""Settings for every test run, whatever is collected."""

pytest_plugins = ["tests.nbval_guard"]
