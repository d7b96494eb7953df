"""Tests of mmpid; a package, so that scripts in it are found before any other package called `tests`."""
