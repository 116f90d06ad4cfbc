"""What users write. Pure: no Pulumi import anywhere below this package."""
