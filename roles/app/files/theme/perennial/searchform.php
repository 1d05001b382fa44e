<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Search form.
 */

defined( 'ABSPATH' ) || exit;
?>
<form role="search" method="get" class="search-form" action="<?php echo esc_url( home_url( '/' ) ); ?>">
	<label>
		<span class="screen-reader-text"><?php esc_html_e( 'Search for', 'perennial' ); ?></span>
		<input type="search" name="s" value="<?php echo esc_attr( get_search_query( false ) ); ?>"
			placeholder="<?php esc_attr_e( 'Search', 'perennial' ); ?>">
	</label>
	<button type="submit"><?php esc_html_e( 'Search', 'perennial' ); ?></button>
</form>
