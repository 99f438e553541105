"""Quality of the table models on public tables, beside their peers: see README.md in this folder."""
