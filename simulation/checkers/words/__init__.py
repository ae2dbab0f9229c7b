"""Of what honest validators say: whether they may, whether they keep it, and how often they say it again."""
