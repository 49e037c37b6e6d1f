"""Rarer methods, each with why it is written by hand, its witness, and what would let us delete it."""
