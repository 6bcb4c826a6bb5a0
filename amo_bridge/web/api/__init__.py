"""The JSON API: its shapes, and the description that is made of them. Its doors are in pages/api_v1.py."""
