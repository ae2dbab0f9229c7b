"""The routes of the API below /v1, a module for each kind of question."""
