"""What a caller attaches: paths, URLs, data URIs and bytes as parts, read beneath the allowed roots only."""
