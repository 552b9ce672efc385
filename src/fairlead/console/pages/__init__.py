"""The pages, one file each: its routes, what it asks for, and what it draws."""
