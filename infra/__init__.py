"""What exists in the cloud: settings become stacks, stacks become Terraform JSON.

Imports from `pipelines` only what is declared there. cdktf and the provider bindings are imported by
`infra.synthesis.cdktf_seam` alone.
"""
