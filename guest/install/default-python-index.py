"""Prints the URL of the index that pip asks unless it is told another."""

from pip._internal.models.index import PyPI

print(PyPI.simple_url)
