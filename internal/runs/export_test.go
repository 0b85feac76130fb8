package runs

var Label = label
