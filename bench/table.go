package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
	"text/tabwriter"
)

// table prints the median run of each job and shipper, and how many times gatebook's CPU it took.
func table(w io.Writer, jobs []job, all []result, n int) error {
	fmt.Fprintf(w, "\n%d lines, %d CPUs, %s; CPU-seconds are user and system until the last document, per million lines\n", n, runtime.NumCPU(), runtime.Version())
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "job\twho\tCPU-s/M\tratio\tlines/s\tpeak MiB\tbody MB\twire MB\tdocs\tserver CPU-s/M\tdisk B/doc\t")
	for _, j := range jobs {
		mine := 0.0
		if g, ok := median(all, j.name, "gatebook"); ok && g.Trouble == "" {
			mine = g.PerM
		}
		for _, who := range names(all, j.name) {
			r, _ := median(all, j.name, who)
			if r.Trouble != "" {
				fmt.Fprintf(tw, "%s\t%s\t-\t-\t-\t-\t-\t-\t%d\t-\t-\t no figures: see above\n", j.name, who, r.Docs)
				continue
			}
			ratio := "-"
			if mine > 0 {
				ratio = fmt.Sprintf("%.2f", r.PerM/mine)
			}
			fmt.Fprintf(tw, "%s\t%s\t%.2f\t%s\t%.0f\t%.0f\t%.0f\t%.0f\t%d\t%s\t%s\t\n", j.name, who, r.PerM, ratio, r.Rate, r.PeakMiB, r.BodyMB, r.WireMB, r.Docs, known("%.1f", r.ServerPerM), known("%.0f", r.DiskPerDoc))
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, j := range jobs {
		fmt.Fprintf(w, "  %s: %s\n", j.name, j.what)
	}
	return nil
}

// known prints a figure that not every job has.
func known(format string, v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

func names(all []result, job string) []string {
	var out []string
	for _, r := range all {
		if r.Job == job && !slices.Contains(out, r.Who) {
			out = append(out, r.Who)
		}
	}
	return out
}

// median is the run in the middle by CPU; one with trouble only where every run had it.
func median(all []result, job, who string) (result, bool) {
	var good, bad []result
	for _, r := range all {
		switch {
		case r.Job != job || r.Who != who:
		case r.Trouble == "":
			good = append(good, r)
		default:
			bad = append(bad, r)
		}
	}
	slices.SortFunc(good, func(a, b result) int { return cmp.Compare(a.PerM, b.PerM) })
	switch {
	case len(good) > 0:
		return good[(len(good)-1)/2], true
	case len(bad) > 0:
		return bad[0], true
	}
	return result{}, false
}
