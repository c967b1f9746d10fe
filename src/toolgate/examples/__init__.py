"""Whole, small businesses that show the gate at work. They ship in the wheel.

Belongs here: packages that use Toolgate as its users do, through the public names alone.
Does not belong here: anything the library itself needs.
"""
