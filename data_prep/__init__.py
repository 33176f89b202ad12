"""Preparation of training data: rows in verl's schema, written as parquet. Imported by no other room."""
