// In the making: the page is written next.
