"""Tests of pb/auth: logging in, and what those who have logged in may do."""
