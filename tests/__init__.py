"""The tests of Toolgate: a package, so that fakes and the list of requirements can be imported by name."""
