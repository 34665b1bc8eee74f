"""Calls in both directions: made and waiting for their answer, served and answered once each."""
