"""What is promised of alerts, at length: faults, storms, hostile text, and how soon Slack is told."""
