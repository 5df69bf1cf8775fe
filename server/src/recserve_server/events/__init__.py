"""What users did since training: stores of events, and what they mean for an answer."""
