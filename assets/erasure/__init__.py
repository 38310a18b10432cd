"""A person taken out of the lake for good, with evidence: the steps, the byte scan, the signed receipt."""
