"""Measurement sets: tables, columns, flags, summaries."""
