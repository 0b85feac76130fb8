package runs

// Label is the label of the content of a run.
var Label = label
