"""A deployed environment, asked over `databricks-sdk`: its jobs started and followed, its state read, its release proven.

Start with `pipelines.remote.connection.connect`. Nothing here computes: what runs on the other side are the declared
jobs. Who logs in, and how, is the SDK's own unified authentication; no module here takes a token.
"""
