"""Requests that no honest client sends."""
