package buffer

func runHelper() bool { return false }
