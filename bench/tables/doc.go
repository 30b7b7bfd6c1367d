// Package tables has the forms that figures have in the text tables of results.
package tables
