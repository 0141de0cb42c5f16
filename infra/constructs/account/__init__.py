"""What only the identity of the account may make: a workspace's place in the account, its serverless network, its restrictions."""
