"""Pictures and the one-page report: what a result looks like on paper."""
