package enrich

// findCard finds the first payment card number (ISO/IEC 7812: issuer ranges in use, 13 to 19 digits, check digit right) at or
// after from, alone or in groups parted by single blanks or dashes. Every run of 13 bytes is looked at in one place only.
func findCard(s string, from int) (start, end int, ok bool) {
	const stride, cardWindow = 12, 64 // of a longer run a piece at a time, with more than a card's length in common
	for p := from + stride; p < len(s); p += stride {
		if !cardByte(s[p]) {
			continue
		}
		b, e := p, p+1
		for b > from && p-b < cardWindow && cardByte(s[b-1]) {
			b--
		}
		for e < len(s) && e-p < cardWindow && cardByte(s[e]) {
			e++
		}
		if e-b >= 13 {
			if start, end, ok = cardIn(s, b, e); ok {
				return start, end, true
			}
		}
		p = max(p, e-stride)
	}
	return 0, 0, false
}

func cardByte(c byte) bool { return c >= '0' && c <= '9' || c == ' ' || c == '-' }

// cardIn looks through a run of digits and separators.
func cardIn(s string, b, e int) (int, int, bool) {
	for i := b; i < e; i++ {
		if !isDigit(s[i]) || i > 0 && (isTokenByte(s[i-1]) || s[i-1] == '.' || s[i-1] == '_') {
			continue
		}
		if i > 0 && s[i-1] == '-' && (i == 1 || !isDigit(s[i-2])) {
			continue // a sign: a number, not a card
		}
		var digits [19]byte
		n, j := 0, i
		for ; j < e && n < len(digits); j++ {
			if !isDigit(s[j]) {
				if !isDigit(s[j-1]) || n%4 != 0 && n != 10 {
					break // two separators, or groups that no card has
				}
				continue
			}
			digits[n] = s[j] - '0'
			n++
			if n < 13 || j+1 < len(s) && (isTokenByte(s[j+1]) || s[j+1] == '_' || s[j+1] == '.' && j+2 < len(s) && isDigit(s[j+2])) {
				continue
			}
			if issuer(digits[:n]) && luhn(digits[:n]) {
				return i, j + 1, true
			}
		}
	}
	return 0, 0, false
}

func issuer(d []byte) bool {
	n := len(d)
	head := int(d[0])*1000 + int(d[1])*100 + int(d[2])*10 + int(d[3])
	switch {
	case d[0] == 4:
		return n == 13 || n == 16 || n == 19
	case head >= 5100 && head <= 5599, head >= 2221 && head <= 2720, head >= 3528 && head <= 3589:
		return n == 16
	case head/100 == 34 || head/100 == 37:
		return n == 15
	case head/100 == 36 || head/100 == 38 || head/10 >= 300 && head/10 <= 305:
		return n == 14
	case head == 6011 || head/100 == 65 || head/10 >= 644 && head/10 <= 649 || head/100 == 62:
		return n >= 16
	}
	return false
}

func luhn(d []byte) bool {
	sum := 0
	for i := range d {
		x := int(d[len(d)-1-i])
		if i%2 == 1 {
			if x *= 2; x > 9 {
				x -= 9
			}
		}
		sum += x
	}
	return sum%10 == 0
}
