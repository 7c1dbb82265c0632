package rules

import "strings"

// TechniqueByID finds a technique or sub-technique of MITRE ATT&CK (Enterprise) in the table of attack_table.go. Of an unknown one only
// the id is there, and what is known of its parent.
func TechniqueByID(id string) (t Technique, known bool) {
	t.ID = id
	parent, _, isSub := strings.Cut(id, ".")
	p, parentKnown := techniques[parent]
	if parentKnown {
		t.TacticIDs, t.TacticNames = tacticsOf(p.tactics)
	}
	if !isSub {
		t.Name = p.name
		return t, parentKnown
	}
	t.ParentID, t.ParentName = parent, p.name
	sub, known := techniques[id]
	t.Name = sub.name
	if sub.tactics != "" {
		t.TacticIDs, t.TacticNames = tacticsOf(sub.tactics)
	}
	return t, known
}

func tacticsOf(letters string) (ids, names []string) {
	for _, c := range letters {
		t := tactics[c]
		ids, names = append(ids, t.id), append(names, t.name)
	}
	return ids, names
}

// validTechnique tells whether a text has the form T1110 or T1110.001.
func validTechnique(id string) bool {
	if len(id) != 5 && (len(id) != 9 || id[5] != '.') || id[0] != 'T' {
		return false
	}
	for i := 1; i < len(id); i++ {
		if i != 5 && (id[i] < '0' || id[i] > '9') {
			return false
		}
	}
	return true
}
