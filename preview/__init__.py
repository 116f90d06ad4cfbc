"""The one reader of a preview: steps, differences, what a change does, and the gate. Pure: no Pulumi import."""
