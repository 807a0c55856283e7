"""How the tests run: side by side, with a word at the end for what is missing."""
