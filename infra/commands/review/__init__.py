"""The commands that judge a change before it is merged: what it affects, means and breaks."""
