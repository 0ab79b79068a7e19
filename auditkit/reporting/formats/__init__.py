"""One report format a file: a module that defines ``FORMAT``."""
