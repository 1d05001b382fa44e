<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One post in a list.
 */

defined( 'ABSPATH' ) || exit;
?>
<article <?php post_class( 'card' ); ?>>
	<?php the_post_thumbnail( 'medium_large', array( 'class' => 'card-image', 'alt' => '', 'sizes' => '(max-width: 40rem) 100vw, 20rem' ) ); ?>
	<div class="card-body">
		<?php if ( is_sticky() && is_home() ) : ?>
			<span class="badge"><?php esc_html_e( 'Pinned', 'perennial' ); ?></span>
		<?php endif; ?>
		<h2><a href="<?php the_permalink(); ?>"><?php the_title(); ?></a></h2>
		<p><?php echo esc_html( Perennial\Theme\short_excerpt( get_the_excerpt() ) ); ?></p>
		<?php Perennial\Theme\meta(); ?>
	</div>
</article>
