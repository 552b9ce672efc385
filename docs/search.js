// The theme's dialog of the search has no name for those who hear the page.
document.querySelector("[data-md-component=search]").ariaLabel = "Search"
